"""The tests, in three tiers: unit (pure), deploys (@fake), lab (a real cluster)."""
