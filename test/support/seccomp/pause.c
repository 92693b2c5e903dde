/* Waits to be killed, and makes no other call: it lives under nearly every filter. Without a C library. */
void _start(void)
{
	for (;;) {
#ifdef __x86_64__
		long number = 34; /* pause */
		__asm__ volatile("syscall" : "+a"(number) : : "rcx", "r11", "memory");
#else
		register long number __asm__("x8") = 73; /* ppoll(NULL, 0, NULL, NULL) */
		register long a __asm__("x0") = 0, b __asm__("x1") = 0, c __asm__("x2") = 0, d __asm__("x3") = 0;
		__asm__ volatile("svc 0" : "+r"(a) : "r"(number), "r"(b), "r"(c), "r"(d) : "memory");
#endif
	}
}
