//! The budgets of forges: nobody is refused, nobody waits longer than needed, and the urgent go first.
