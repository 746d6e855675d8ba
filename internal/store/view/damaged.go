package view

// MarkDamaged says of a document, in place of all that its task's state holds, that the state cannot be read.
func MarkDamaged(document map[string]any) {
	document["damaged"] = "the stored state of this task cannot be read; this is what is left"
}
