"""Machines to practise on, and the artefacts that they run. Knows nothing of deploys/."""
