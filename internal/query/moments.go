package query

// Moments are of the numbers that some tasks have of a field, one a task.
type Moments struct {
	N              int64
	Low, High      float64
	Mean, Deviance float64 // Deviance is the sum of the squared distances from Mean
}

// Comoments are of two fields, over the tasks that have both.
type Comoments struct {
	X, Y    Moments
	Product float64 // the sum of the products of both distances from the means
}

// Matrix is what fields of X and of Y are by themselves and together.
type Matrix struct {
	Tasks int64 // that were looked at
	X, Y  []Moments
	Pairs [][]Comoments // by the place in X, and in Y
}
