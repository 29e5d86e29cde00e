"""Which rows of a dataset race: those for which it can matter who is faster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.analysis.frame import pareto_front
from harness.store.race import MAX_ENTRANTS, Entrant

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd

    from harness.analysis.significance import Significance


def entrants(
    rows: pd.DataFrame, significance: Significance, *, names: Sequence[str] = (), everything: bool = False
) -> tuple[Entrant, ...]:
    """Return the rows that race, the most accurate first.

    By default these are the Pareto front, and each row whose accuracy is not separated from that of the row on the
    front that is as fast or faster: should that one turn out to be slower, the row would be on the front. At most 12
    of them, the front first.

    Args:
        rows: the dataset's rows of `frame.configuration_frame`, the most accurate first.
        significance: which of them differ in accuracy.
        names: labels or architectures; only these rows race.
        everything: all rows race.
    """
    candidates = _comparable(rows[rows["map"].notna() & rows["latency_median_s"].notna() & ~rows["subset"]])
    if names:
        chosen = candidates[candidates["label"].isin(names) | candidates["architecture"].isin(names)]
    elif everything:
        chosen = candidates
    else:
        matter = _that_matter(candidates, significance)
        chosen = candidates.loc[[index for index in candidates.index if index in matter[:MAX_ENTRANTS]]]
    return tuple(
        Entrant(
            label=row["label"], configuration=row["configuration"], variant=row["variant"], trial_ids=row["trial_ids"]
        )
        for _, row in chosen.iterrows()
    )


def _comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows on the same images and by the same protocol as the most accurate one."""
    if rows.empty:
        return rows
    identities = [json.loads(configuration) for configuration in rows["configuration"]]
    keys = [(one["dataset"]["fingerprint"], {**one["protocol"], "variants": None}) for one in identities]
    return rows[[key == keys[0] for key in keys]]


def _that_matter(rows: pd.DataFrame, significance: Significance) -> list[Hashable]:
    """Return the indices of the front, then of the rows that tie with it, the most accurate first of either."""
    front = pareto_front(rows)
    others = []
    for index, row in rows.drop(front.index).iterrows():
        faster = front[front["latency_median_s"] <= row["latency_median_s"]]
        pair = significance.pair(index, faster.index[-1])
        if pair is None or not pair.separated:
            others.append(index)
    return [*(index for index in rows.index if index in front.index), *others]
