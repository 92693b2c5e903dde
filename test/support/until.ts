// Waiting in a test for what will be so, as long as that may take on a busy machine.

/** Looks again and again until `test` says true. */
export async function until(test: () => boolean | Promise<boolean>, seconds = 30): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`not so within ${seconds} s: ${test.toString()}`);
    await Bun.sleep(20);
  }
}
