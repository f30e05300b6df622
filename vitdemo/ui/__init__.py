"""The page: `page` is the layout, `handlers` what happens, `render` how results look, `text` every word."""
