"""Auto Scaling, strict: wait states, lifecycle actions, warm pools, interruptions."""
