"""M2FP human parsing: model directories, engines, pre- and postprocessing."""
