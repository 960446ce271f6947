"""Makes pictures of rooms, shops, classrooms and streets with labelled people, as fixed cameras see them.

`python -m training.synthetic --out DIR --from 0 --to 100`; README.md beside this file says what it writes.
"""
