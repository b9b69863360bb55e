"""Releases without a gap: a new version beside the old one, tried, given more and more traffic, taken back if bad.

`deployed` (what runs where), `actions` (what to do about it), `judgement` and `handlers` (is it good?):
pure. `order`: who goes first;
`naming`: what a version's revisions are called.
`driver`: what a platform has to be able to do; `azure` does it on Container Apps, `local` behind the gateway.
`release` goes the whole way, `trial` (over `reachable` and `smoke`) tries green before.
"""
