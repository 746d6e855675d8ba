// Package propose reads lines of a log and proposes rules for them (docs/log-rules.md): how every entry looks, which
// entries begin and end tasks, and what they used and generated. What it proposes it has tried on the same lines with the
// rules' own engine, and it says how many of them a rule took. A person is meant to read and correct the result.
//
//  1. The form of the entries is the first of a list of usual ones that fits nearly all lines (header.go).
//  2. Each message is cut into words and values; messages with the same words are one template (words.go, template.go).
//  3. Verbs say what a template does, and values that come back say which templates speak of one task (roles.go).
package propose
