// The part Farm.

export function startFarm() {
  return {
    enter() {},
    leave() {},
  };
}
