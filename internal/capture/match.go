package capture

// Match says whether one of the globs fits a whole name, for observers that choose names of their own kind.
func Match(patterns []string, name string) bool { return anyGlob(patterns, name) }
