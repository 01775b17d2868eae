// Package bench measures the server as a process: a parent drives load over loopback HTTP, a child of its own serves, and
// the child's CPU time is read from the operating system. Every figure is a ratio within one run, because machines differ
// and drift: server CPU per complete UMA flow against one raw ES256 signature, durable against not durable, many
// registered sets against few.
package bench
