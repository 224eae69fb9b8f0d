"""The forward sweep: intervals node by node, tightened at bound sites by rows, columns or estimates."""
