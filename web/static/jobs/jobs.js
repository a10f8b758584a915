// The part Jobs.

export function startJobs() {
  return {
    enter() {},
    leave() {},
  };
}
