"""Processes of this program: how one is started, watched, asked to stop and ended.

Every `python -m harness.trial…` starts in `child.py`, whoever wants it: an executor in the runner's process, a trial
that measures its variants, a command such as `harness doctor`. This room lies below `trial` and `executors`, because
both of them start processes. What a process computes, and what its end means for a trial, is decided elsewhere.
"""
