"""Splitting skin and shoes by a pose, on a drawn figure."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from poses import figure, pose

from training.labels import SKIN, Part
from training.pose import distance_to_segment, split_by_pose


def test_undecided_limbs_and_shoes_get_their_side() -> None:
    """What geometry left as skin or shoe is told by the nearest bone."""
    found = split_by_pose(figure(), figure(), pose())
    assert found[170, 155] == Part.LEFT_ARM
    assert found[170, 45] == Part.RIGHT_ARM
    assert found[300, 120] == Part.LEFT_LEG
    assert found[300, 80] == Part.RIGHT_LEG
    assert found[365, 124] == Part.LEFT_SHOE
    assert found[365, 76] == Part.RIGHT_SHOE
    assert found[40, 100] == Part.FACE
    assert found[150, 100] == Part.DRESS


def test_a_side_that_geometry_got_wrong_is_put_right() -> None:
    """Crossed legs have their sides by the pose; what is a leg stays a leg."""
    by_geometry = figure()
    by_geometry[240:350, 70:95], by_geometry[240:350, 105:130] = Part.RIGHT_LEG, Part.LEFT_LEG
    found = split_by_pose(figure(), by_geometry, pose(crossed=True))
    assert found[320, 80] == Part.LEFT_LEG
    assert found[320, 120] == Part.RIGHT_LEG


def test_between_two_limbs_nothing_is_decided() -> None:
    """Skin as near to one leg as to the other stays skin."""
    canvas = figure()
    canvas[240:350, 95:105] = SKIN
    assert split_by_pose(canvas, canvas, pose())[300, 100] == SKIN


def test_the_pose_of_somebody_else_changes_nothing() -> None:
    """Landmarks beside the labelled person, or unseen shoulders, say nothing about it."""
    elsewhere = pose()
    elsewhere[:, 0] += 0.6
    unseen = pose()
    unseen[11, 3] = 0.1
    for landmarks in (elsewhere, unseen):
        assert (split_by_pose(figure(), figure(), landmarks) == figure()).all()


def test_distance_from_a_segment_ends_at_its_ends() -> None:
    """Beside it the distance is square to it, behind an end it is that from the end."""
    points = np.array([[5.0, 3.0], [-4.0, 3.0]])
    found = distance_to_segment(points, np.array([0.0, 0.0]), np.array([10.0, 0.0]))
    assert found.tolist() == [3.0, 5.0]
