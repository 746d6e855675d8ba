// Package view holds what stores do alike, whatever their database: what a batch of events amounts to, workflows, edges,
// checkpoints and the overview of campaigns, the parts in which a view is moved, and the cache of what was written lately.
package view
