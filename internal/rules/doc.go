// Package rules turns the lines of a log into task events, as declared by rules that a scientist writes
// (docs/log-rules.md). It does no I/O: who reads the log hands over lines with their place in the file.
//
//   - [Spec] is what the user writes, [Compile] checks it and makes a [Set].
//   - [Lines] cuts bytes into lines, [Grouper] lines into records.
//   - [Engine] turns records into events. Its [State] is all that it remembers; it is stored with the position.
//
// Everything is a pure function of the log and the rules: reading a log again gives the same events.
package rules
