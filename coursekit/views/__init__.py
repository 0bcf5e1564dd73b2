"""Everything that draws: frames, tables, journeys. `from coursekit import views`, then one verb per view."""
