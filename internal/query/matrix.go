package query

// MatrixRequest asks for what fields are by themselves and together, over the tasks that match Filter: each of X with each of
// Y. A map stands for its leaves whose path begins with the map's Path, but those that stand there by name, or were before.
type MatrixRequest struct {
	Filter     Filter
	X, Y       []Field
	Categories int // the most different texts of a field by which numbers are wanted
}

// Matrix is the answer.
type Matrix struct {
	Tasks int64 // that match
	X, Y  []Column
	Pairs [][]Pair // by the place in X, and in Y
}

// Column is one field, of which each task that has it has one number, one boolean or one text. In numbers false and true are
// 0 and 1.
type Column struct {
	Name            string
	Of              int // the place of the field that was asked for
	Numbers         Moments
	Booleans, Texts int64
	Categories      int // different texts; more than were wanted stand for any more
}

// Pair is of two fields, over the tasks that have both.
type Pair struct {
	Numbers  Comoments
	ByX, ByY []Moments // numbers of Y by the texts of X, and the other way round
}

// Moments are of some numbers.
type Moments struct {
	N              int64
	Low, High      float64
	Mean, Deviance float64 // Deviance is the sum of the squared distances from Mean
}

// Comoments are of two numbers.
type Comoments struct {
	X, Y    Moments
	Product float64 // the sum of the products of both distances from the means
}
