"""The user's images and boxes, in one in-memory form, without torch. What training does to them is not here."""
