"""``edge-worker demo``: broker, camera, worker and recorder in one."""
