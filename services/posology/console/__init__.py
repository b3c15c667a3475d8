"""The console: pages for reviewers, engineers and auditors. It shows and does what the services' calls do, and no more.

One folder an area (`review`, `runs`, `evidence`, `data`, `playground`), with its templates beside what fills them.
Runs as a process of its own; holds no state but sessions.
"""
