package query

// Row is what a list answer shows of a task document in its stored form (with the environment record in place of its
// digest): the projected fields that it has, or the whole document without a projection.
func Row(doc map[string]any, projection []Field) map[string]any {
	return newDocument(doc).row(projection)
}
