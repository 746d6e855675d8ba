package elastic

// cachedState is the state of a task that was written lately, as bytes: to decode one costs less than the garbage
// collector's walks through thousands of decoded ones.
type cachedState struct {
	encoded []byte
	version version // that the task has in the index
}

// stateOverhead stands for what an entry of the cache takes beyond the bytes of its state.
const stateOverhead = 200
