"""Speed, compared in one run and printed as ratios: `nox -s bench`."""
