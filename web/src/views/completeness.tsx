export function Completeness() { return null; }
