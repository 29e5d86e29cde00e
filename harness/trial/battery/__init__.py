"""What every detector must do before it is worth a night: one list of checks for the command and for the tests.

`checks` has the list and runs it, `subject` what all checks share; `training`, `detecting`, `keeping` and `variants`
hold the checks themselves: functions that return what they found, or raise `CheckFailedError` with what is wrong.
"""
