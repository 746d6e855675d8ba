// Package procstat reads what Linux knows about the resource use of processes, their children, cgroups and the host, as
// cheaply as a sampler needs it: files stay open, buffers are kept, nothing is read twice. Roots are configurable, so that
// a mounted or a recorded tree can be read; elsewhere than on Linux there is none, which Open says.
package procstat
