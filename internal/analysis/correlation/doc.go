// Package correlation computes how fields of tasks go together: hyperparameters with metrics, telemetry and elapsed time.
// It reads the view once, through the port that every store has, or takes the sums that a store knows, and says of every
// pair how many tasks it rests on and, where there is no number, why (docs/correlation.md).
package correlation
