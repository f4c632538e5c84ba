"""What a shared kernel is: a sans-IO, synchronous state machine, events in and commands out."""
