"""The demo: scenarios on the local cloud, shown live, recorded, and judged at the end."""
