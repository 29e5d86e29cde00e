"""One results folder against another, for `harness compare`.

`pairs` (which row belongs to which), `objections` (whether two may be compared), `verdicts` (better, worse or a tie),
`seeds` (where only seeds can tell), `limits` (a person's tolerance), `told` (all of it in words).
"""
