package boltkv

// Queued is the number of updates that wait for the committer.
func (e *Engine) Queued() int { return len(e.queue) }

// Break takes the file away, so that every commit fails.
func (e *Engine) Break() error { return e.db.Close() }
