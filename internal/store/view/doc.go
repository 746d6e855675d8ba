// Package view holds what stores derive alike from events, whatever their database: what a batch amounts to, workflows,
// edges and checkpoints.
package view
