// The part Pre-warm.

export function startPrewarming() {
  return {
    enter() {},
    leave() {},
  };
}
