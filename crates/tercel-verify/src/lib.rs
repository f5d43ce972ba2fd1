//! What rule logic can and cannot do: domains, reachability, dead code.
