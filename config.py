"""pyinfra's settings for every run of this project; pyinfra reads this file by itself."""

from pyinfra import config

from operations import session

config.SUDO = True
# One failed node fails the run: a worker must not join what did not come up.
config.FAIL_PERCENT = 0

session.install()
