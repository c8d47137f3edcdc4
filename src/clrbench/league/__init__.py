"""The league: policies across tasks, each at its own tuned peak, ranked with intervals. The rules are in docs/league.md."""
