// The secret stands behind the #, which browsers send to nobody; it is posted once and leaves the address.
"use strict";
const secret = location.hash.slice(1);
if (secret) {
  history.replaceState(null, "", location.pathname);
  document.getElementById("secret").value = secret;
  document.getElementById("sign-in").submit();
}
