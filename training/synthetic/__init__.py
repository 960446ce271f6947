"""Renders images of rooms, shops, classrooms and streets with labelled people, as seen by fixed cameras.

`python -m training.synthetic --out DIR --from 0 --to 100`; README.md beside this file describes the output.
"""
