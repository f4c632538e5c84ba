"""What bash_kernel can do, for jupyter_kernel_test."""

import jupyter_kernel_test


class BashKernelTests(jupyter_kernel_test.KernelTests):
    # It keeps no history, inspects nothing, has no results, and shows stderr as stdout.
    kernel_name = "bash"
    language_name = "bash"
    file_extension = ".sh"
    code_hello_world = "echo 'hello, world'"
    completion_samples = ({"text": "export"}, {"text": "unal", "matches": {"unalias"}})
    code_generate_error = "false"
    code_display_data = (
        {"code": "echo '<b>test</b>' | displayHTML", "mime": "text/html"},
        {"code": "echo '<i>named</i>' | displayHTML id1", "mime": "text/html"},
    )


class BashKernelWelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "bash"
    support_iopub_welcome = True
