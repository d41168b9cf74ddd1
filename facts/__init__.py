"""What is: one composite question per subject, a thin command and a pure parser into frozen dataclasses."""
