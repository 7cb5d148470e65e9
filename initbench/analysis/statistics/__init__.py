"""Statistics of scores and times: functions of arrays and frames of numbers."""
