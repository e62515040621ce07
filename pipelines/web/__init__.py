"""Pages to look at: one set of figures, drawn by Bokeh, which the extra ``web`` brings."""
