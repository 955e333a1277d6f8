"""Other systems' doors: their files and calls, read and written, so that whoever comes from there need not begin anew.

    sdv.py            metadata: V1, and the older SINGLE_TABLE_V1 and MULTI_TABLE_V1
    constraints.py    constraint files
    gretel.py         RelationalData and MultiTable

Written from the published descriptions of these formats and calls; no code of theirs is in here.
"""
