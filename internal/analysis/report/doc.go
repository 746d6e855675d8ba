// Package report writes the life of the best results of a campaign: backward from a metric to the raw data, as lineage has
// it. It knows no campaign and no tool: who trained, which files are models, which values are hyperparameters is told by the
// links, by what tasks used and generated, and by names that are usual (Conventions), which a configuration extends. What is
// not known is said to be not recorded. docs/report.md has the rules.
package report
