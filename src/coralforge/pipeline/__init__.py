"""From settings to artifacts: survey, plan, and the stages that make them."""
